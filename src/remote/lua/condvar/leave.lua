-- Somebody has its lock again, or gives up: SESSION OBJECT NUMBER, 1 if it gives up. Then what it was notified of, another is.
local session, object, number = ARGV[2], ARGV[3], ARGV[4]
local waiter = session .. '/' .. number
if call('EXISTS', object_key(object)) == 0 then
    return
end
local was_in_line = leave_line(object, waiter)
if call('HDEL', owners_of(object), waiter) == 1 then
    if ARGV[5] == '1' then
        notify(object, 1, '+inf', tick())
    end
elseif ARGV[5] == '1' and not was_in_line then
    renounce(object, session, number)
end
