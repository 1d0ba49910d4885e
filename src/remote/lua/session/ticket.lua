-- One more hold, for a handle on its way: SESSION TICKET OBJECT.
local session, ticket, object = ARGV[2], ARGV[3], ARGV[4]
require_session(session)
contents(object)
hold_object(session, ticket, object)
