-- What a queue is like: OBJECT; how many messages nobody has in hands, how many take a place, how many it has room for, whether it is
-- closed, and how many were delivered again.
local stream = contents(ARGV[2])
local known = call('HMGET', object_key(ARGV[2]), 'capacity', 'closed', 'redelivered')
local places, summary = call('XLEN', stream), call('XPENDING', stream, GROUP)
local length = places - summary[1]
for _, consumer in ipairs(summary[4] or {}) do
    if consumer[1] == BACK then
        length = length + tonumber(consumer[2])
    end
end
return { math.max(length, 0), places, tonumber(known[1]) or 0, known[2] and 1 or 0, tonumber(known[3]) or 0 }
