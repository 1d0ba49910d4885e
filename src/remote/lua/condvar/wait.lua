-- Joins the line, and gives a lock back if there is one: SESSION OBJECT NUMBER, LOCK THREAD TOKEN; whether the lock was still there.
local session, object, number, lock = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local waiter = session .. '/' .. number
require_session(session)
contents(object)
if is_in_line(object, waiter) or is_notified(object, waiter) then
    return 1
end
if was_renounced(object, session, number) then
    return 0
end
local at = tick()
hear(session, at)
join_line(object, waiter)
if lock and not lend(session, lock, ARGV[6], ARGV[7]) then
    leave_line(object, waiter)
    return 0
end
pass_on(object, at)
return 1
