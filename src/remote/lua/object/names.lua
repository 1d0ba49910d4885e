-- All names whose objects are there.
local names = {}
local all = call('HGETALL', P .. 'names')
for index = 1, #all, 2 do
    if call('EXISTS', object_key(all[index + 1])) == 1 then
        names[#names + 1] = all[index]
    end
end
return names
