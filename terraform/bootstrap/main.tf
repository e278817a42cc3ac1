# Once in a project's life: what must be there before anything can be applied or deployed.

locals {
  apis = toset([
    "artifactregistry", "bigquery", "bigquerystorage", "billingbudgets", "cloudbuild", "cloudkms",
    "cloudresourcemanager", "cloudscheduler", "cloudtasks", "compute", "firestore", "iam", "iamcredentials",
    "iap", "logging", "monitoring", "pubsub", "run", "secretmanager", "serviceusage", "sts",
  ])

  # What a deployment changes. Owner would be simpler and far too much.
  deployer_roles = toset([
    "roles/bigquery.admin",
    "roles/cloudscheduler.admin",
    "roles/cloudtasks.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.securityAdmin",
    "roles/datastore.owner",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/iap.admin",
    "roles/logging.configWriter",
    "roles/logging.logWriter",
    "roles/logging.viewer",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/secretmanager.admin",
    "roles/serviceusage.serviceUsageConsumer",
  ])
}

data "google_project" "this" {
  project_id = var.project
}

resource "google_project_service" "this" {
  for_each = local.apis

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# Google's own accounts in the project, which roles are granted to: they come to be with the first use of
# their service, and a role for an account that is not there yet is refused.
resource "google_project_service_identity" "this" {
  provider = google-beta
  for_each = toset(["artifactregistry", "cloudscheduler", "cloudtasks", "firestore", "iap", "pubsub", "run", "secretmanager"])

  project = var.project
  service = "${each.key}.googleapis.com"

  depends_on = [google_project_service.this]
}

# What no role of Google's allows by itself. Made here, so that who deploys can grant these roles
# but not change them.
resource "google_project_iam_custom_role" "this" {
  for_each = {
    chatflow_appender = {
      title       = "Chatflow: append rows"
      description = "Append rows to tables of BigQuery and see their columns"
      permissions = ["bigquery.tables.get", "bigquery.tables.updateData"]
    }
    chatflow_secret_lister = {
      title       = "Chatflow: list secrets"
      description = "See the names of secrets, never their values"
      permissions = ["secretmanager.secrets.list"]
    }
  }

  project     = var.project
  role_id     = each.key
  title       = each.value.title
  description = each.value.description
  permissions = each.value.permissions

  depends_on = [google_project_service.this]
}

# Terraform's states. Every version is kept, so that a broken one can be put back.
resource "google_storage_bucket" "states" {
  #checkov:skip=CKV_GCP_62:Data access audit logs, which the organisation turns on, say more than a bucket's own logs.
  project                     = var.project
  name                        = "${var.project}-terraform"
  location                    = var.region
  force_destroy               = false
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      num_newer_versions = 50
      with_state         = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }

  soft_delete_policy {
    retention_duration_seconds = 2592000
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = "chatflow"
  description   = "Images of Chatflow's functions"
  format        = "DOCKER"
  kms_key_name  = var.kms_key

  docker_config {
    immutable_tags = true
  }

  # What was never tagged is rubbish after a month; the last releases stay for rolling back.
  cleanup_policies {
    id     = "untagged"
    action = "DELETE"
    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s"
    }
  }

  cleanup_policies {
    id     = "recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

# Layers of earlier builds; their tags move, and nothing is deployed from here.
resource "google_artifact_registry_repository" "cache" {
  project       = var.project
  location      = var.region
  repository_id = "chatflow-cache"
  description   = "Layers of Chatflow's builds"
  format        = "DOCKER"
  kms_key_name  = var.kms_key

  cleanup_policies {
    id     = "old"
    action = "DELETE"
    condition {
      older_than = "1209600s"
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

data "google_storage_project_service_account" "this" {
  project = var.project

  depends_on = [google_project_service.this]
}

# The key that images are signed with; it never leaves Cloud KMS.
resource "google_kms_key_ring" "signing" {
  project  = var.project
  location = var.region
  name     = "chatflow-signing"

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "signing" {
  #checkov:skip=CKV_GCP_43:Cloud KMS does not rotate keys that sign; a new version is made by hand.
  name     = "images"
  key_ring = google_kms_key_ring.signing.id
  purpose  = "ASYMMETRIC_SIGN"

  version_template {
    algorithm        = "EC_SIGN_P256_SHA256"
    protection_level = "SOFTWARE"
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_binding" "signers" {
  crypto_key_id = google_kms_crypto_key.signing.id
  role          = "roles/cloudkms.signerVerifier"
  members       = [google_service_account.deployer.member]
}

# Where states and images are encrypted with a key of one's own.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = var.kms_key == null ? {} : {
    storage          = data.google_storage_project_service_account.this.member
    artifactregistry = google_project_service_identity.this["artifactregistry"].member
  }

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}

resource "google_service_account" "deployer" {
  project      = var.project
  account_id   = "chatflow-deployer"
  display_name = "Deploys Chatflow"
  description  = "Applies Terraform and pushes images, for CI"

  depends_on = [google_project_service.this]
}

# On the project, because it makes the things that narrower roles could be granted on.
resource "google_project_iam_member" "deployer" {
  #checkov:skip=CKV_GCP_41:It makes the functions' accounts and starts services as them; they are not there to be named yet.
  #checkov:skip=CKV_GCP_49:As above: it makes each function's account.
  for_each = local.deployer_roles

  project = var.project
  role    = each.key
  member  = google_service_account.deployer.member
}

# It binds roles on the project to the functions' accounts, but only these. It still makes every account
# of the project and acts as each: keep other accounts with much power in other projects.
resource "google_project_iam_member" "deployer_grants" {
  project = var.project
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deployer.member

  condition {
    title       = "only_what_functions_need"
    description = "Only roles that Chatflow's functions get on the project."
    expression = format("api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([%s])", join(", ", [
      for role in [
        "roles/datastore.user",
        "roles/bigquery.jobUser",
        google_project_iam_custom_role.this["chatflow_secret_lister"].id,
      ] : "'${role}'"
    ]))
  }
}

resource "google_storage_bucket_iam_member" "states" {
  bucket = google_storage_bucket.states.name
  role   = "roles/storage.objectAdmin"
  member = google_service_account.deployer.member
}

# Cloud Build reads the sources it is given from a bucket that it makes itself.
resource "google_project_iam_member" "sources" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.deployer.member

  condition {
    title       = "only_sources_of_builds"
    description = "Only the bucket of Cloud Build."
    expression  = "resource.name.startsWith(\"projects/_/buckets/${var.project}_cloudbuild\")"
  }
}

resource "google_artifact_registry_repository_iam_member" "pusher" {
  for_each = {
    images = google_artifact_registry_repository.images.name
    cache  = google_artifact_registry_repository.cache.name
  }

  project    = var.project
  location   = var.region
  repository = each.value
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.deployer.member
}

# GitHub's jobs become the deployer by their own tokens: there is no key to lose.
resource "google_iam_workload_identity_pool" "github" {
  count = var.github_repository == null ? 0 : 1

  project                   = var.project
  workload_identity_pool_id = "chatflow-github"
  display_name              = "GitHub"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:The condition names the whole subject; checkov does not evaluate the expression. A test does.
  count = var.github_repository == null ? 0 : 1

  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "actions"
  display_name                       = "GitHub Actions"

  # One repository, and only its jobs of protected environments.
  attribute_condition = join(" || ", [
    for name in var.github_environments : "assertion.sub == 'repo:${var.github_repository}:environment:${name}'"
  ])
  attribute_mapping = {
    "google.subject"        = "assertion.sub"
    "attribute.repository"  = "assertion.repository"
    "attribute.environment" = "assertion.environment"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_binding" "github" {
  count = var.github_repository == null ? 0 : 1

  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  members = [
    join("/", [
      "principalSet://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools",
      google_iam_workload_identity_pool.github[0].workload_identity_pool_id,
      "attribute.repository/${var.github_repository}",
    ]),
  ]
}
