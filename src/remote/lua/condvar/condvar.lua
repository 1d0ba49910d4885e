-- Condition variables. Who waits is in the line as SESSION/NUMBER; who is notified is in o:OBJECT:h instead, until it
-- has its lock again.

-- Notifies so many of those that came first and are alive, none later than the last; how many it were, and whether there may be more.
local function notify(object, count, last, at)
    local line, woken = object_key(object) .. ':w', 0
    for _ = 1, MOST_WOKEN do
        local waiter = woken < count and call('ZRANGEBYSCORE', line, '-inf', last, 'LIMIT', 0, 1)[1]
        if not waiter then
            return woken, false
        end
        call('ZREM', line, waiter)
        if is_alive(session_of(waiter), at) then
            call('HSET', owners_of(object), waiter, 'notified')
            call('RPUSH', P .. 'k:' .. waiter, 1)
            call('PEXPIRE', P .. 'k:' .. waiter, 60000)
            woken = woken + 1
        end
    end
    return woken, true
end

local function is_notified(object, waiter)
    return call('HEXISTS', owners_of(object), waiter) == 1
end

local function is_in_line(object, waiter)
    return call('ZSCORE', object_key(object) .. ':w', waiter) and true
end

-- What the dead were notified of, others are.
local function pass_on(object, at)
    local dead = some_dead(object, at)
    local woken, is_more = notify(object, #dead, '+inf', at)
    for index = 1, is_more and woken or #dead do
        call('HDEL', owners_of(object), dead[index])
    end
end
