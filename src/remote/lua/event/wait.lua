-- Looks at an event: OBJECT SEEN WAITER; whether it is set, or was since it was seen, and how often it has been set.
local object, seen, waiter = ARGV[2], ARGV[3], ARGV[4]
contents(object)
tick()
local found = call('HMGET', object_key(object), 'set', 'times')
local times = found[2] or '0'
if found[1] or (seen ~= '' and seen ~= times) then
    if waiter then
        leave_line(object, waiter)
    end
    return { 1, times }
end
if waiter then
    join_line(object, waiter)
end
return { 0, times }
