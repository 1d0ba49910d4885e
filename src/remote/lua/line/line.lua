-- Who waits for an object, first come, first woken: o:OBJECT:w is a sorted set of WAITERs, which are SESSION/NUMBER, by their line (0
-- unless told; what they wait for) and when they came.
-- To wake one is to push something, its line, to the list k:WAITER. That is a hint and no more: whoever is woken tries again, and so
-- does, every second, who is not. So a hint that is lost, or goes to one who is stopped, delays others by a second at most.

local LINE = 2 ^ 40
-- So many are woken in one step, or passed over as they are dead: some commands each. A guess.
local MOST_WOKEN = 500

-- Before somebody joins, some others are looked at: there are never many more than have not ended.
local function join_line(object, waiter, line)
    local key = object_key(object)
    if not call('ZSCORE', key .. ':w', waiter) then
        for _, other in ipairs(call('ZRANDMEMBER', key .. ':w', 4)) do
            if is_over(string.match(other, '^[^/]*')) then
                call('ZREM', key .. ':w', other)
            end
        end
        local place = call('HINCRBY', key, 'line', 1) % LINE + (line or 0) * LINE
        call('ZADD', key .. ':w', string.format('%.0f', place), waiter)
    end
end

-- Whether it was still in the line: otherwise it has been woken; and in which line, if it has not seen that yet.
local function leave_line(object, waiter)
    local line = call('LPOP', P .. 'k:' .. waiter)
    call('DEL', P .. 'k:' .. waiter)
    return call('ZREM', object_key(object) .. ':w', waiter) == 1, tonumber(line)
end

-- Wakes the first so many whose sessions are alive, if not too many before them are not.
local function wake(object, count, line)
    local key, at = object_key(object) .. ':w', tonumber(call('HGET', P .. 'clock', 'at')) or 0
    line = line or 0
    local first, last = string.format('%.0f', line * LINE), string.format('(%.0f', (line + 1) * LINE)
    for _ = 1, count + MOST_WOKEN do
        local waiter = count > 0 and call('ZRANGE', key, first, last, 'BYSCORE', 'LIMIT', 0, 1)[1]
        if not waiter then
            return
        end
        call('ZREM', key, waiter)
        if is_alive(string.match(waiter, '^[^/]*'), at) then
            call('RPUSH', P .. 'k:' .. waiter, line)
            call('PEXPIRE', P .. 'k:' .. waiter, 60000)
            count = count - 1
        end
    end
end
