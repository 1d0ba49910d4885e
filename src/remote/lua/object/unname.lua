-- Takes a name out: NAME; whether there was one.
local object = call('HGET', P .. 'names', ARGV[2])
if not object then
    return 0
end
call('HDEL', P .. 'names', ARGV[2])
release_object(object)
return 1
