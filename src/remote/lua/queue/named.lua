-- The queue of a name, held: SESSION TOKEN NAME OBJECT KIND TYPE CAPACITY; its id, kind and type. If there is nothing of this name, it is made.
local session, token, name, object = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
require_session(session)
local known = call('HGET', P .. 'names', name)
if not known or call('EXISTS', object_key(known)) == 0 then
    local key = object_key(object)
    call('HSET', key, 'kind', ARGV[6], 'type', ARGV[7], 'refs', 1, 'capacity', ARGV[8])
    call('XGROUP', 'CREATE', key .. ':d', GROUP, 0, 'MKSTREAM')
    call('HSET', P .. 'names', name, object)
    known = object
end
local found = call('HMGET', object_key(known), 'kind', 'type')
if found[1] == ARGV[6] and found[2] == ARGV[7] then
    hold_object(session, token, known)
end
return { known, found[1], found[2] }
