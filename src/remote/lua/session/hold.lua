-- Holds an object that is there: SESSION TOKEN OBJECT, and, of a handle on its way, SENDER TICKET, which ends with it; its kind and type.
local session, token, object = ARGV[2], ARGV[3], ARGV[4]
require_session(session)
local found = call('HMGET', object_key(object), 'kind', 'type')
if not found[1] then
    fail('GONE')
end
hold_object(session, token, object)
if ARGV[5] then
    let_go(ARGV[5], ARGV[6])
    let_go(ARGV[5] .. LATE, ARGV[6])
end
return found
