-- Semaphores. Fields: `free`, `max`, `out`, how many permits have owners, which have parts by their sessions.

-- Gives back what the dead have.
local function take_back(object, at)
    local count = 0
    for _, who in ipairs(some_dead(object, at)) do
        count = count + lose_parts(object, who)
    end
    if count > 0 then
        call('HINCRBY', object_key(object), 'free', count)
        call('HINCRBY', object_key(object), 'out', -count)
        wake(object, math.min(count, MOST_WOKEN))
    end
end

local function number(object, field)
    return tonumber(call('HGET', object_key(object), field)) or 0
end
