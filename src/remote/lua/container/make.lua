-- A new container, held: SESSION TOKEN OBJECT KIND TYPE, and the item that it begins with if it has one.
local session, token, object, start = ARGV[2], ARGV[3], ARGV[4], ARGV[7]
require_session(session)
local key = object_key(object)
if start then
    require_all(start)
end
if call('HSETNX', key, 'kind', ARGV[5]) == 1 then
    call('HSET', key, 'type', ARGV[6], 'refs', 0)
    if start then
        call('RPUSH', key .. ':d', start)
        retain(object, start)
    end
end
hold_object(session, token, object)
