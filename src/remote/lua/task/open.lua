-- The chunks of a program's build, which are there as long as anybody holds them: SESSION TOKEN OBJECT.
local session, token, object = ARGV[2], ARGV[3], ARGV[4]
require_session(session)
local key = object_key(object)
if call('EXISTS', key) == 0 then
    call('DEL', key .. ':d')
    call('XGROUP', 'CREATE', key .. ':d', GROUP, '0', 'MKSTREAM')
    call('HSET', key, 'kind', 'tasks', 'type', '', 'refs', 0)
end
hold_object(session, token, object)
