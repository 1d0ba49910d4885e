// Whether the headers are there at all.
#include <boost/interprocess/ipc/message_queue.hpp>
