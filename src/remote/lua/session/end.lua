-- A session ends of its own accord: SESSION; whether it is to be asked again, as there was too much for one step. What the last one does not
-- remove is there until another one comes.
local session = ARGV[2]
local at = tick()
condemn(session)
local is_done = end_holds(session, at)
if is_done then
    call('ZREM', P .. 'sessions', session)
end
bury_some()
local is_last = call('EXISTS', P .. 'leases') == 0
return (not is_done or is_last and call('EXISTS', P .. 'grave') == 1) and 1 or 0
