-- A handle is dropped: SESSION OBJECT HANDLE.
if call('EXISTS', object_key(ARGV[3])) == 1 then
    drop_part(ARGV[3], ARGV[2], ARGV[4])
end
