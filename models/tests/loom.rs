//! Runs the models.

#[test]
fn each_job_is_taken_once() {
    upshift_models::each_job_is_taken_once();
}

#[test]
fn closing_ends_all_workers() {
    upshift_models::closing_ends_all_workers();
}

#[test]
fn no_job_is_leaked() {
    upshift_models::no_job_is_leaked();
}

#[test]
fn ranges_added_at_once_are_all_found() {
    upshift_models::ranges_added_at_once_are_all_found();
}

#[test]
fn a_cell_used_again_mixes_no_ranges() {
    upshift_models::a_cell_used_again_mixes_no_ranges();
}
