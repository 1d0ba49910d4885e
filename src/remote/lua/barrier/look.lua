-- What has become of a generation: OBJECT TURN WAITER.
local object, turn, waiter = ARGV[2], tonumber(ARGV[3]), ARGV[4]
contents(object)
local at = tick()
if verdict(object, turn)[1] == 'wait' then
    break_for_dead(object, at)
end
local found = verdict(object, turn)
if waiter then
    if found[1] == 'wait' then
        join_line(object, waiter)
    else
        leave_line(object, waiter)
    end
end
return found
