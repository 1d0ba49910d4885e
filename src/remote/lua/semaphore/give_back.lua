-- Ends the ownership of a permit: SESSION OBJECT TOKEN, and whether it is `free` then, or `forgotten`, or was perhaps `not` granted;
-- whether it was still there. Again, nothing happens.
local session, object, token = ARGV[2], ARGV[3], ARGV[4]
require_session(session)
if call('EXISTS', object_key(object)) == 0 then
    return 0
end
if drop_part(object, session, token) then
    call('HINCRBY', object_key(object), 'out', -1)
    if ARGV[5] ~= 'forgotten' then
        call('HINCRBY', object_key(object), 'free', 1)
        wake(object, 1)
    end
    return 1
end
if ARGV[5] == 'not' then
    renounce(object, session, token)
end
return 1
