"""The tests of the contract that kazoo's own cache fails, with reasons. `docs/compatibility.md` lists the same."""

KAZOO_FAILS = {
    "test_a_cache_may_start_before_its_client": (
        "start() sends a request for the root and waits for the answer, even without a connection."
    ),
    "test_default_for_a_root_that_is_gone": (
        "The root's node stays when its znode is deleted; get_data returns None for it."
    ),
    "test_default_after_close": "The root's node stays; get_data returns None for it.",
    "test_default_for_a_node_that_may_not_be_read": (
        "A child's node exists before its data; get_data returns None for it, forever if the znode is unreadable."
    ),
    "test_a_node_that_may_not_be_read_is_a_fault": (
        "Every error of a read but NoNode is silently dropped, and the read is not repeated."
    ),
    "test_a_path_that_only_begins_like_the_root_raises": (
        "Paths are compared as string prefixes: a cache of /app answers /appb with its data of /app/b."
    ),
    "test_nodes_directly_below_the_root_of_all_come_and_go": (
        "If the parent is /, a node removes itself by a name without its first letter. It stays among the children, "
        "and is never updated again."
    ),
    "test_a_node_changed_and_created_again_at_once_is_removed_and_added": (
        "Different threads apply watch events and replies: the dead node takes the new znode's data, so the new znode "
        "is added twice."
    ),
    "test_an_update_and_then_a_removal_end_in_the_removal": (
        "A watch event is applied immediately, a reply only after the listeners' queue: the update is applied to the "
        "removed node and published as its addition. A program that follows the events keeps the node forever."
    ),
    "test_a_slow_listener_does_not_hold_up_the_tree": (
        "The thread that applies replies calls the listeners, so the tree is not updated while one runs."
    ),
    "test_whatever_a_listener_raises_stops_nothing": (
        "Only an Exception is caught: any other exception silently ends the thread that applies replies and calls "
        "listeners. The cache is never updated again."
    ),
    "test_a_cache_that_is_not_closed_ends_its_threads_with_its_client": (
        "Its thread waits forever and keeps the cache and its client in memory."
    ),
    "test_parents_stat_is_true": (
        "When a child is created or deleted, its parent is listed but not read: numChildren, cversion and pzxid keep "
        "their old values."
    ),
    "test_a_node_created_again_meanwhile_is_removed_and_added": (
        "A znode that was deleted and recreated while the client was disconnected is published as an update: only "
        "mzxid is compared."
    ),
    "test_a_tree_deeper_than_pythons_stack": (
        "After a reconnection the tree is walked recursively: RecursionError, and deeper znodes are no longer watched."
    ),
    "test_a_load_takes_fewer_requests_than_nodes": "Two requests for each znode.",
    "test_a_reconnection_takes_fewer_requests_than_nodes": (
        "Two requests for each znode after each interruption, however short, all sent at once."
    ),
    "test_there_are_fewer_watches_than_nodes": "Two watches for each znode.",
    "test_close_takes_its_watches_off_the_server": (
        "The client forgets the watches, but they stay on the server until they fire or the session ends."
    ),
}
