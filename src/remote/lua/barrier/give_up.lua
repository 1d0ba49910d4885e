-- A party that has perhaps arrived, or perhaps will, does not wait: SESSION OBJECT TOKEN TIME.
local object, name = ARGV[3], ARGV[2] .. '/' .. ARGV[4]
contents(object)
local known = recall(object, name)
if not known then
    remember(object, name, 'void', tick(), ARGV[5])
elseif known ~= 'void' and verdict(object, tonumber(string.match(known, '^%d+')))[1] == 'wait' then
    break_it(object, 'timeout')
end
