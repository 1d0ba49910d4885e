-- Whether all that was put is done: OBJECT, and the WAITER that waits if it is not. What the dead had got is not waited for; of them, a
-- hundred are forgotten at a time.
local object, waiter = ARGV[2], ARGV[3]
local stream, at = contents(object), tick()

local function is_all_done()
    if call('XLEN', stream) > 0 then
        return false
    end
    local gots = object_key(object) .. ':h'
    for _, session in ipairs(call('HRANDFIELD', gots, 100) or {}) do
        if is_alive(session, at) then
            return false
        end
        condemn(session) -- its messages are not to be done any more: it is told, should it come back
        call('HDEL', gots, session)
    end
    return call('HLEN', gots) == 0
end

if is_all_done() then
    if waiter then
        leave_line(object, waiter)
    end
    return 1
end
if waiter then
    join_line(object, waiter, JOINERS)
end
return 0
