-- Who has parts of an object, in o:OBJECT:h: by SESSION or SESSION/THREAD the tokens of its parts, with spaces between them. Besides, until
-- that session has ended:
--
--   !WHO   what was taken from it since it was not heard, so that it learns of it
--   -WHO   what it has given up before it was granted: a request that is carried out late gets nothing

local function parts_of(object)
    return object_key(object) .. ':h'
end

local function session_of(who)
    return string.match(who, '^[!-]?([^/]*)')
end

-- Whoever asks for something is heard: what it gets is not taken from it at once because its lease was not renewed in time.
local function hear(session, at)
    if not is_alive(session, at) then
        call('ZADD', P .. 'sessions', at + (tonumber(call('HGET', P .. 'clock', 'leap')) or 0), session)
    end
end

local function has_part(object, who, token)
    local parts = call('HGET', parts_of(object), who)
    return parts and string.find(' ' .. parts .. ' ', ' ' .. token .. ' ', 1, true) ~= nil
end

local function add_part(object, who, token)
    local parts = call('HGET', parts_of(object), who)
    call('HSET', parts_of(object), who, parts and parts .. ' ' .. token or token)
end

-- Whether it was there.
local function drop_part(object, who, token)
    local parts = ' ' .. (call('HGET', parts_of(object), who) or '') .. ' '
    local first, last = string.find(parts, ' ' .. token .. ' ', 1, true)
    if not first then
        return false
    end
    parts = string.gsub(string.sub(parts, 2, first) .. string.sub(parts, last + 1, -2), ' $', '')
    if parts == '' then
        call('HDEL', parts_of(object), who)
    else
        call('HSET', parts_of(object), who, parts)
    end
    return true
end

-- Takes all from somebody who is not heard; how many parts.
local function lose_parts(object, who)
    local parts = call('HGET', parts_of(object), who)
    if not parts then
        return 0
    end
    call('HDEL', parts_of(object), who)
    if call('ZSCORE', P .. 'sessions', session_of(who)) then
        add_part(object, '!' .. who, parts)
    end
    local _, count = string.gsub(parts, '[^ ]+', '')
    return count
end

-- Of those who have parts, some, at random, whose sessions are not alive. What was noted of sessions that have ended goes.
local function some_dead(object, at)
    local dead = {}
    for _, who in ipairs(call('HRANDFIELD', parts_of(object), 100)) do
        local session = session_of(who)
        if string.find(who, '^[!-]') then
            if not call('ZSCORE', P .. 'sessions', session) then
                call('HDEL', parts_of(object), who)
            end
        elseif not is_alive(session, at) then
            dead[#dead + 1] = who
        end
    end
    return dead
end

-- What of this is not there any more, of which somebody says that it is given up, is not to be granted later either.
local function renounce(object, who, token)
    if not has_part(object, '!' .. who, token) and not has_part(object, '-' .. who, token) then
        add_part(object, '-' .. who, token)
    end
end
