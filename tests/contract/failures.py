"""What kazoo's own cache fails of the contract, by test, and why. `docs/compatibility.md` lists the same."""

KAZOO_FAILS = {
    "test_a_cache_may_start_before_its_client": (
        "start() asks the server for the root and waits for the answer, whether or not there is a connection."
    ),
    "test_default_for_a_root_that_is_gone": "The root's node stays when its znode goes; get_data gives None for it.",
    "test_default_after_close": "The root's node stays; get_data gives None for it.",
    "test_default_for_a_node_that_may_not_be_read": (
        "A child's node is there before its data; get_data gives None for it, for ever if it may not be read."
    ),
    "test_a_node_that_may_not_be_read_is_a_fault": (
        "Every error of a read but NoNode is dropped without a word, and the read is not repeated."
    ),
    "test_a_path_that_only_begins_like_the_root_raises": (
        "Paths are compared by their first characters: a cache of /app answers /appb with what it holds of /app/b."
    ),
    "test_nodes_directly_below_the_root_of_all_come_and_go": (
        "A node takes itself out of its parent by a name that lacks its first letter when the parent is /. It stays "
        "among the children, and never comes back to life."
    ),
    "test_a_node_changed_and_created_again_at_once_is_removed_and_added": (
        "Watch events and replies are applied by different threads: the dead node takes the new one's data for its "
        "own, so the new znode is added twice."
    ),
    "test_an_update_and_then_a_removal_end_in_the_removal": (
        "A watch event is applied at once, a reply after the listeners' queue: the update is applied to the removed "
        "node and told as its addition. Whoever follows the events holds it for ever."
    ),
    "test_a_slow_listener_does_not_hold_up_the_tree": (
        "Listeners are called by the thread that applies replies, so the tree stands still for as long as one takes."
    ),
    "test_whatever_a_listener_raises_stops_nothing": (
        "Only an Exception is caught: any other exception ends the thread that applies replies and calls listeners, "
        "without a word. The cache stands still for ever."
    ),
    "test_a_cache_that_is_not_closed_ends_its_threads_with_its_client": (
        "Its thread waits for ever, and keeps the cache and its client in memory."
    ),
    "test_parents_stat_is_true": (
        "A child that comes or goes has its parent listed, not read: numChildren, cversion and pzxid stay as they were."
    ),
    "test_a_node_created_again_meanwhile_is_removed_and_added": (
        "A znode deleted and created again while the client was away is told as an update: only mzxid is compared."
    ),
    "test_a_tree_deeper_than_pythons_stack": (
        "After a reconnection the tree is walked by recursion: RecursionError, and everything deeper is not watched "
        "any more."
    ),
    "test_a_load_takes_fewer_requests_than_nodes": "Two requests for each znode.",
    "test_a_reconnection_takes_fewer_requests_than_nodes": (
        "Two requests for each znode, after each interruption however short, all sent at once."
    ),
    "test_there_are_fewer_watches_than_nodes": "Two watches for each znode.",
    "test_close_takes_its_watches_off_the_server": (
        "The watches are forgotten by the client and stay on the server until they fire or the session ends."
    ),
}
