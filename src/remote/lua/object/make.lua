-- A new object, held: SESSION TOKEN OBJECT KIND TYPE, FIELD VALUE ..
local session, token, object = ARGV[2], ARGV[3], ARGV[4]
require_session(session)
local key = object_key(object)
if call('HSETNX', key, 'kind', ARGV[5]) == 1 then
    call('HSET', key, 'type', ARGV[6], 'refs', 0)
    for index = 7, #ARGV, 2 do
        call('HSET', key, ARGV[index], ARGV[index + 1])
    end
end
hold_object(session, token, object)
