-- Sessions and their time, for all scripts but those that are brief (lua.rs): functions are made each time a script runs.

-- The sessions' time. It moves by a leap at most, however long no session was heard, so that nobody ends for a pause of the server, or a step of
-- its clock: each is renewed several times in its lease, and so a leap leaves it time to be heard.
local function tick()
    local time = call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local clock = call('HMGET', P .. 'clock', 'at', 'seen', 'leap')
    local at, seen, leap = tonumber(clock[1]) or 0, tonumber(clock[2]) or now, tonumber(clock[3]) or 0
    at = at + math.max(0, math.min(now - seen, leap))
    call('HSET', P .. 'clock', 'at', at, 'seen', now)
    return at
end

local function is_alive(session, at)
    local ends = call('ZSCORE', P .. 'sessions', session)
    return ends and tonumber(ends) > at
end

-- By the leases of those who are there now: one that is short would slow the others' time.
local function set_leap()
    local least = call('ZRANGE', P .. 'leases', 0, 0, 'WITHSCORES')[2]
    if least then
        call('HSET', P .. 'clock', 'leap', math.floor(least / 2))
    end
end

-- Of a field that begins with it: SESSION/..
local function session_of(field)
    return string.match(field, '^-?([^/]*)')
end

-- Some fields of sessions that have ended go. Four are looked at for each that is added: so they never outnumber the others by much.
local function forget_some(key)
    for _, field in ipairs(call('HRANDFIELD', key, 4)) do
        if is_over(session_of(field)) then
            call('HDEL', key, field)
        end
    end
end

-- A session that is not alive, and from which something is taken, cannot go on: it learns so with its next request.
local function condemn(session)
    call('ZADD', P .. 'sessions', 'XX', 0, session)
    if call('ZREM', P .. 'leases', session) == 1 then
        set_leap()
    end
end

-- What the name of a session ends with that has ended, and whose handles on their way may still arrive; and for how long.
local LATE, HOUR = '+', 3600000

-- A session has ended that had this hold. A ticket (`t..`) is of a handle on its way to somebody who may live.
local function end_hold(session, token, at)
    if string.sub(token, 1, 1) ~= 't' or string.sub(session, -1) == LATE then
        return let_go(session, token)
    end
    local holds, object = P .. 's:' .. session, call('HGET', P .. 's:' .. session, token)
    call('HDEL', holds, token)
    call('HSET', holds .. LATE, token, object)
    call('ZADD', P .. 'sessions', at + HOUR, session .. LATE)
end
