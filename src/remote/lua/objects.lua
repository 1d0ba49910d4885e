-- What every script begins with; most go on with sessions.lua. Keys, behind the prefix:
--
--   clock       hash: `at`, the sessions' time in milliseconds; `seen`, the server's clock when it was last moved on; `leap`, by how
--               much it moves at most: half the least lease; `buried`, how far a table in the grave is emptied (session/grave.lua)
--   sessions    sorted set: each session, and when it ends unless it is renewed
--   leases      sorted set: each session that is not known to have ended, and its lease
--   s:SESSION   hash: what it holds, by tokens of its own: objects. s:SESSION+: the same of handles on their way, after its end
--   names       hash: objects by their names
--   o:OBJECT    hash: `kind`, `type`, `refs` (how many holds, names and values refer to it), and what its kind keeps there
--   o:OBJECT:d  what it contains; or, of what processes wait for, the answers that must not be given twice (object/recent.lua)
--   o:OBJECT:w  who waits for it
--   o:OBJECT:h  who has parts of it, and how many: permits, messages
--   o:OBJECT:p  these parts, each with its owner (object/parts.lua)
--   k:WAITER    list: pushed to in order to wake somebody (line/line.lua)
--   g:new       list: one that is being built, until it is renamed; if left behind, the next one removes it
--   grave       list: contents that nobody sees any more and that refer to objects, each under g: and its name here, until they are emptied
--
-- A value is a byte that says how many objects it refers to, these as 32 characters each, and what its owner has encoded.
--
-- The server does nothing else while a script runs. So each has a bounded amount of work, some thousand commands, whatever there is of
-- what others left behind: the rest is done with the next ones. Only a reset of a barrier (`barrier/reset.lua`) goes through all who have
-- handles of it, as it must forget the dead in one step. Who changes or reads many entries in one step has the server take the time for
-- these.
--
-- A script that fails is not undone. A server without memory refuses one that is not flagged `allow-oom` before it begins, and none that
-- has begun: maxmemory is looked at once, when a script starts, and what it goes beyond that counts against the next one. It is the same
-- with a server that may not write, for its replicas or its disk. So what may fail in the middle is a key of another type than ours, or a
-- command that our user may not use: what could be lost by that is built under a name of its own, and renamed.
local P = ARGV[1] .. ':'
local call = redis.call

local function fail(code)
    error({ err = code })
end

-- Whether nothing can be asked in a session's name any more.
local function is_over(session)
    return (tonumber(call('ZSCORE', P .. 'sessions', session)) or 0) == 0
end

-- Whoever asks in the name of a session that has ended is told so before anything has happened.
local function require_session(session)
    if is_over(session) then
        fail('LOST')
    end
end

local function object_key(object)
    return P .. 'o:' .. object
end

-- The key of what an object contains.
local function contents(object)
    local key = object_key(object)
    if call('EXISTS', key) == 0 then
        fail('GONE')
    end
    return key .. ':d'
end

-- The objects that a value refers to.
local function references(value)
    local found = {}
    for index = 0, (string.byte(value, 1) or 0) - 1 do
        found[#found + 1] = string.sub(value, 2 + 32 * index, 33 + 32 * index)
    end
    return found
end

-- Before anything is written, since a script that fails is not undone.
local function require_all(value)
    for _, object in ipairs(references(value)) do
        if call('EXISTS', object_key(object)) == 0 then
            fail('GONE')
        end
    end
end

-- For a value that is put into an object.
local function retain(owner, value)
    local found = references(value)
    for _, object in ipairs(found) do
        call('HINCRBY', object_key(object), 'refs', 1)
    end
    if #found > 0 then
        call('HSET', object_key(owner), 'refers', 1)
    end
end

-- An object has no contents any more. What they refer to is released later (session/grave.lua), under a name that nothing else has.
local function drop_contents(object, name)
    local key = object_key(object)
    if call('HDEL', key, 'refers') == 1 and call('EXISTS', key .. ':d') == 1 then
        call('RENAME', key .. ':d', P .. 'g:' .. name)
        call('RPUSH', P .. 'grave', name)
    else
        call('UNLINK', key .. ':d')
    end
end

local function release_object(object)
    local key = object_key(object)
    if call('EXISTS', key) == 0 or call('HINCRBY', key, 'refs', -1) > 0 then
        return
    end
    drop_contents(object, object)
    call('UNLINK', key, key .. ':w', key .. ':h', key .. ':p')
end

-- For a value that is taken out of an object.
local function release(value)
    for _, object in ipairs(references(value)) do
        release_object(object)
    end
end

-- Has a session hold an object, under a token that it has not used; again, nothing happens, unless it finds another object this time.
local function hold_object(session, token, object)
    local holds = P .. 's:' .. session
    local old = call('HGET', holds, token)
    if old == object then
        return
    end
    call('HINCRBY', object_key(object), 'refs', 1)
    call('HSET', holds, token, object)
    if old then
        release_object(old)
    end
end

-- What it was, if there was any.
local function let_go(session, token)
    local holds = P .. 's:' .. session
    local object = call('HGET', holds, token)
    if object then
        call('HDEL', holds, token)
        release_object(object)
    end
    return object
end

-- Lets go of TOKEN.(COUNT + 1), TOKEN.(COUNT + 2) .. as far as they are held: the same was asked before, and found a value that refers to
-- more; nobody has heard the answer. How many these were.
local function let_go_behind(session, token, count)
    local index = count
    while index < 255 and let_go(session, token .. '.' .. index + 1) do
        index = index + 1
    end
    return index - count
end

-- Has a session hold what a value refers to: TOKEN.1, TOKEN.2 .., and no more under this token.
local function hold(session, token, value)
    local found = value and references(value) or {}
    if #found > 0 then
        require_session(session)
    end
    for index, object in ipairs(found) do
        hold_object(session, token .. '.' .. index, object)
    end
    let_go_behind(session, token, #found)
end

-- Has a session hold what several values refer to, under TOKEN.1, TOKEN.2 .. each; or how many objects that would be, if they are more than
-- may be held in one step. What was held for values behind them goes, up to one that refers to nothing.
local function hold_all(session, token, values, most)
    local count, held = 0, #values
    for _, value in ipairs(values) do
        count = count + (string.byte(value, 1) or 0)
    end
    if count > most then
        held = 0
    end
    for index = 1, held do
        hold(session, token .. '.' .. index, values[index])
    end
    local left = 5000 -- as many as anybody holds in one step (managed/server/held.rs)
    while left > 0 do
        held = held + 1
        local gone = let_go_behind(session, token .. '.' .. held, 0)
        left = gone > 0 and left - gone or 0
    end
    return count > most and count or nil
end
