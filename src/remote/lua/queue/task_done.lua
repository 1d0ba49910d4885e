-- One message more, that SESSION has got, is done: SESSION OBJECT; whether there was one.
local session, object = ARGV[2], ARGV[3]
require_session(session)
local stream = contents(object)
local gots = object_key(object) .. ':h'
local left = tonumber(call('HGET', gots, session))
if not left then
    return 0
end
if left > 1 then
    call('HSET', gots, session, left - 1)
else
    call('HDEL', gots, session)
    if call('XLEN', stream) == 0 then
        wake(object, MOST_TOLD, JOINERS)
    end
end
return 1
