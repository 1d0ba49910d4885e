-- Who waits for an object, first come, first woken: o:OBJECT:w is a sorted set of WAITERs, which are SESSION/NUMBER, by when they came.
-- To wake one is to push something to the list k:WAITER. That is a hint and no more: whoever is woken tries again, and so does, every
-- second, who is not. So a hint that is lost, or goes to one who is stopped, delays others by a second at most.

local function join_line(object, waiter)
    local line = object_key(object) .. ':w'
    if not call('ZSCORE', line, waiter) then
        call('ZADD', line, call('HINCRBY', object_key(object), 'line', 1), waiter)
    end
end

-- Whether it was still in the line: otherwise it has been woken.
local function leave_line(object, waiter)
    call('DEL', P .. 'k:' .. waiter)
    return call('ZREM', object_key(object) .. ':w', waiter) == 1
end

-- Wakes the first so many whose sessions are alive.
local function wake(object, count)
    local line, at = object_key(object) .. ':w', tonumber(call('HGET', P .. 'clock', 'at')) or 0
    while count > 0 do
        local waiter = call('ZPOPMIN', line)[1]
        if not waiter then
            return
        end
        if is_alive(string.match(waiter, '^[^/]*'), at) then
            call('RPUSH', P .. 'k:' .. waiter, 1)
            call('PEXPIRE', P .. 'k:' .. waiter, 60000)
            count = count - 1
        end
    end
end
