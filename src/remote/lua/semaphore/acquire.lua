-- Takes a permit: SESSION OBJECT TOKEN WAITER; whether there was one.
local session, object, token, waiter = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
require_session(session)
contents(object)
local at = tick()
hear(session, at)
if not has_part(object, session, token) then
    if was_renounced(object, session, token) then
        return 0
    end
    if number(object, 'free') <= 0 then
        take_back(object, at)
    end
    if number(object, 'free') <= 0 then
        if waiter then
            join_line(object, waiter)
        end
        return 0
    end
    tidy(object)
    add_part(object, session, token)
    call('HINCRBY', object_key(object), 'free', -1)
    call('HINCRBY', object_key(object), 'out', 1)
end
if waiter then
    leave_line(object, waiter)
end
return 1
