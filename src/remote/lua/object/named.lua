-- The object of a name, held: SESSION TOKEN NAME OBJECT KIND TYPE ITEM, FIELD VALUE ..; its id, kind and type. If there is none, it is
-- made, with these fields, and the item that it begins with unless that is empty.
local session, token, name, object = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
require_session(session)
local known = call('HGET', P .. 'names', name)
if known and call('EXISTS', object_key(known)) == 1 then
    local found = call('HMGET', object_key(known), 'kind', 'type')
    if found[1] == ARGV[6] and found[2] == ARGV[7] then
        hold_object(session, token, known)
    end
    return { known, found[1], found[2] }
end
if ARGV[8] ~= '' then
    require_all(ARGV[8])
end
local key = object_key(object)
call('HSET', key, 'kind', ARGV[6], 'type', ARGV[7], 'refs', 1)
for index = 9, #ARGV, 2 do
    call('HSET', key, ARGV[index], ARGV[index + 1])
end
if ARGV[8] ~= '' then
    call('RPUSH', key .. ':d', ARGV[8])
    retain(object, ARGV[8])
end
call('HSET', P .. 'names', name, object)
hold_object(session, token, object)
return { object, ARGV[6], ARGV[7] }
