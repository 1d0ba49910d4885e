-- Who has parts of an object: in o:OBJECT:h by WHO, which is SESSION or SESSION/THREAD, how many; in o:OBJECT:p a field WHO/TOKEN for each.
-- There, too, -WHO/TOKEN is what somebody has given up before it was granted: a request that is carried out late gets nothing.
--
-- Who has lost its parts, as it was not heard, is condemned: nothing can be asked in its name any more. So its fields in o:OBJECT:p mean
-- nothing, and go some at a time, as do those of sessions that have ended.

local function owners_of(object)
    return object_key(object) .. ':h'
end

local function parts_of(object)
    return object_key(object) .. ':p'
end

-- Whoever asks for something is heard: what it gets is not taken from it at once because its lease was not renewed in time.
local function hear(session, at)
    if not is_alive(session, at) then
        call('ZADD', P .. 'sessions', at + (tonumber(call('HGET', P .. 'clock', 'leap')) or 0), session)
    end
end

-- Called wherever fields that mean nothing come from, or are added.
local function tidy(object)
    forget_some(parts_of(object))
end

local function has_part(object, who, token)
    return call('HEXISTS', parts_of(object), who .. '/' .. token) == 1
end

local function add_part(object, who, token)
    call('HINCRBY', owners_of(object), who, 1)
    call('HSET', parts_of(object), who .. '/' .. token, '')
end

-- Whether it was there.
local function drop_part(object, who, token)
    if call('HDEL', parts_of(object), who .. '/' .. token) == 0 then
        return false
    end
    if call('HINCRBY', owners_of(object), who, -1) <= 0 then
        call('HDEL', owners_of(object), who)
    end
    return true
end

-- Takes all from somebody who is not heard; how many parts.
local function lose_parts(object, who)
    local count = tonumber(call('HGET', owners_of(object), who)) or 0
    call('HDEL', owners_of(object), who)
    condemn(session_of(who))
    return count
end

-- Of those who have parts, some, at random, whose sessions are not alive.
local function some_dead(object, at)
    local dead = {}
    for _, who in ipairs(call('HRANDFIELD', owners_of(object), 100)) do
        if not is_alive(session_of(who), at) then
            dead[#dead + 1] = who
        end
    end
    return dead
end

-- What was not granted, and of which somebody says that it is given up, is not to be granted later either.
local function renounce(object, who, token)
    tidy(object)
    call('HSET', parts_of(object), '-' .. who .. '/' .. token, '')
end

-- Whether it was: the one request that may come late has come.
local function was_renounced(object, who, token)
    return call('HDEL', parts_of(object), '-' .. who .. '/' .. token) == 1
end
