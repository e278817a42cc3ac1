output "state_bucket" {
  description = "Where the environments keep their states: `bucket` in `backend.hcl`."
  value       = google_storage_bucket.states.name
}

output "images" {
  description = "Where images are pushed to; a function's name follows."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "deployer" {
  description = "The account that deploys."
  value       = google_service_account.deployer.email
}

output "workload_identity_provider" {
  description = "What `google-github-actions/auth` is given; null without a repository."
  value       = var.github_repository == null ? null : google_iam_workload_identity_pool_provider.github[0].name
}

output "signing_key" {
  description = "The key that images are signed with, as cosign names it."
  value       = "gcpkms://${google_kms_crypto_key.signing.id}/versions/1"
}
