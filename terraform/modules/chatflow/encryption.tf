# Google's own accounts that use the key, where there is one.

locals {
  # `bootstrap/` has made those that come to be with the first use of their service.
  encrypting_agents = {
    pubsub        = local.agents.pubsub
    firestore     = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-firestore.iam.gserviceaccount.com"
    bigquery      = "serviceAccount:${data.google_bigquery_default_service_account.this.email}"
    secretmanager = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    run           = "serviceAccount:service-${data.google_project.this.number}@serverless-robot-prod.iam.gserviceaccount.com"
  }
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = var.kms_key == null ? {} : local.encrypting_agents

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}

# Asking for it makes it.
data "google_bigquery_default_service_account" "this" {
  project = var.project
}
