-- The action is done, and all pass: SESSION OBJECT TOKEN TURN; what has become of the generation.
local object, turn = ARGV[3], tonumber(ARGV[5])
contents(object)
if verdict(object, turn)[1] == 'wait' and call('HGET', object_key(object), 'acting') == ARGV[2] .. '/' .. ARGV[4] then
    next_turn(object)
end
return verdict(object, turn)
