-- Sets an event, or clears it: SESSION OBJECT TOKEN, 1 or 0, TIME; whether there may be others to wake.
local object, name = ARGV[3], ARGV[2] .. '/' .. ARGV[4]
require_session(ARGV[2])
contents(object)
local key = object_key(object)
if recall(object, name) then
    return call('EXISTS', key .. ':w')
end
remember(object, name, 'done', tick(), ARGV[6])
if ARGV[5] == '0' then
    call('HDEL', key, 'set')
    return 0
end
if call('HSETNX', key, 'set', 1) == 1 then
    call('HINCRBY', key, 'times', 1)
end
wake(object, MOST_WOKEN)
return call('EXISTS', key .. ':w')
