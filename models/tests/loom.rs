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

#[test]
fn better_code_stays() {
    upshift_models::better_code_stays();
}

#[test]
fn refuted_code_is_not_called() {
    upshift_models::refuted_code_is_not_called();
}

#[test]
fn lowered_functions_stay_low() {
    upshift_models::lowered_functions_stay_low();
}

#[test]
fn a_promotion_is_asked_for_once() {
    upshift_models::a_promotion_is_asked_for_once();
}

#[test]
fn a_promotion_turned_away_is_forgotten() {
    upshift_models::a_promotion_turned_away_is_forgotten();
}

#[test]
fn a_group_that_is_found_has_its_ids() {
    upshift_models::a_group_that_is_found_has_its_ids();
}

#[test]
fn a_group_dropped_while_its_code_is_made_is_freed() {
    upshift_models::a_group_dropped_while_its_code_is_made_is_freed();
}
