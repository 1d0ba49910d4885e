-- Makes permits free that nobody has: SESSION OBJECT TOKEN COUNT TIME; if there is room for them, and for how many there is.
local session, object, name, count = ARGV[2], ARGV[3], ARGV[2] .. '/' .. ARGV[4], tonumber(ARGV[5])
require_session(session)
contents(object)
if recall(object, name) then
    return { 1, 0 }
end
local at = tick()
local room = math.max(0, number(object, 'max') - number(object, 'free') - number(object, 'out'))
if count > room then
    return { 0, room }
end
remember(object, name, 'done', at, ARGV[6])
call('HINCRBY', object_key(object), 'free', ARGV[5])
wake(object, math.min(count, MOST_WOKEN))
return { 1, room }
