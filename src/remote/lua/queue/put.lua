-- Puts a message: SESSION OBJECT VALUE, and the WAITER that waits if there is no room; 'done', 'full' or 'closed'.
local session, object, value, waiter = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
require_session(session)
local stream = contents(object)
local known = call('HMGET', object_key(object), 'closed', 'capacity')
local is_full = call('XLEN', stream) >= (tonumber(known[2]) or 0)
if is_full and not known[1] then
    tick()
    if waiter then
        join_line(object, waiter, PUTTERS)
    end
    return 'full'
end
if not known[1] then
    require_all(value)
    call('XADD', stream, '*', 'v', value)
    retain(object, value)
    wake(object, 1, GETTERS)
end
if waiter then
    leave_line(object, waiter)
end
return known[1] and 'closed' or 'done'
