# What CI may do before anything else is there.

variables {
  project           = "acme-chat"
  github_repository = "acme/chatflow"
}

run "only_one_repository_deploys" {
  # Planned only: what must not be destroyed cannot be cleaned up after a test.
  command = plan

  module {
    source = "./bootstrap"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.sub == 'repo:acme/chatflow:environment:dev' || assertion.sub == 'repo:acme/chatflow:environment:prod'"
    error_message = "Another repository, or a job of no environment, may deploy."
  }

  assert {
    condition     = alltrue([for member in google_service_account_iam_binding.github[0].members : endswith(member, "/attribute.repository/acme/chatflow")])
    error_message = "Another repository may become the deployer."
  }

  assert {
    condition     = !contains([for it in google_project_iam_member.deployer : it.role], "roles/owner") && !contains([for it in google_project_iam_member.deployer : it.role], "roles/editor")
    error_message = "The deployer may do everything."
  }

  assert {
    condition     = google_storage_bucket.states.versioning[0].enabled && google_storage_bucket.states.public_access_prevention == "enforced"
    error_message = "A broken state could not be put back, or states could be public."
  }
}

run "no_repository_no_identity" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    github_repository = null
  }

  assert {
    condition     = output.workload_identity_provider == null && length(google_iam_workload_identity_pool.github) == 0
    error_message = "An identity is made for nobody."
  }
}
