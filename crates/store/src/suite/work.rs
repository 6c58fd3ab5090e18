//! What is promised of durable work.

mod ends;
mod family;
mod leases;
mod lists;
mod order;
mod words;

pub use ends::*;
pub use family::*;
pub use leases::*;
pub use lists::*;
pub use order::*;
pub use words::{T0, Work};

/// One test for each promise of durable work, inside the module in which it stands. `$open` answers with something to be kept
/// and an empty store.
#[macro_export]
macro_rules! work_promises {
    ($open:expr) => {
        $crate::work_promises! { $open =>
            a_submission_is_taken_whole_or_not_at_all
            a_key_that_is_submitted_twice_is_one_run
            a_task_begins_after_what_it_depends_on
            what_depends_on_a_success_that_does_not_come_never_begins
            a_claim_gets_what_it_has_room_for
            a_fleet_runs_no_more_than_it_may
            the_more_urgent_comes_first_and_none_starves
            a_task_waits_for_its_time
            claims_at_the_same_time_get_different_tasks
            a_late_finisher_is_refused
            the_same_end_said_twice_is_kept_once
            a_heartbeat_extends_the_lease
            a_lease_that_ran_out_is_requeued
            a_loss_that_is_reported_counts_as_one_that_is_noticed
            an_attempt_that_is_given_back_costs_nothing
            a_dead_servers_tasks_are_requeued_once
            a_clock_that_is_set_back_keeps_no_task_for_ever
            failures_are_tried_again_by_their_kind
            a_ready_task_is_cancelled_at_once_and_a_running_one_when_it_agrees
            nobody_cancels_or_sees_what_is_anothers
            a_run_that_fails_fast_begins_nothing_more
            a_run_ends_by_its_deadline
            a_parent_is_over_when_its_children_are
            children_that_fail_fail_their_parent_unless_it_says_otherwise
            a_parent_tried_again_finds_its_children
            a_parents_end_ends_its_children
            lists_come_in_pages_that_miss_and_repeat_nothing
            a_task_tells_its_story
            counts_are_of_what_is_there
            fleets_are_made_once_changed_and_removed
            runs_that_are_over_go_and_others_stay
        }
    };
    ($open:expr => $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (_kept, store) = $open;
                $crate::suite::work::$promise(&store).await;
            }
        )*
    };
}
