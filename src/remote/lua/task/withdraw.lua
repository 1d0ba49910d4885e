-- Chunks that nobody wants any more: OBJECT ENTRY .. Who has one in hands finishes it for nothing.
local object = ARGV[2]
if call('EXISTS', object_key(object)) == 1 then
    for index = 3, #ARGV do
        call('XDEL', object_key(object) .. ':d', ARGV[index])
    end
end
