-- Breaks a generation that waits, or the present one if none is given: SESSION OBJECT BY TURN; what has become of it.
local object = ARGV[3]
contents(object)
local turn = tonumber(ARGV[5]) or turn_of(object)
if verdict(object, turn)[1] == 'wait' then
    break_it(object, ARGV[4])
end
return verdict(object, turn)
