# The one module that knows how everything belongs together. What there is stands in `functions.tf`;
# here it is wired.

data "google_project" "this" {
  project_id = var.project
}

locals {
  infra  = "${path.module}/../../../infra"
  labels = merge(var.labels, { app = var.name })

  # Google's own accounts in the project, which act on our behalf.
  agents = {
    pubsub = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    iap    = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-iap.iam.gserviceaccount.com"
  }

  # Made by `bootstrap/`: who deploys may grant them and not change what they allow.
  roles = {
    appender      = "projects/${var.project}/roles/chatflow_appender"
    secret_lister = "projects/${var.project}/roles/chatflow_secret_lister"
  }

  members = { for name, function in module.function : name => function.member }

  # Who may call a function: Google in the name of its caller, or people by way of the edge.
  invokers = merge(
    { for name, function in local.functions : name => [google_service_account.caller[name].member] if !function.open },
    {
      gateway = var.webhook_callers
      admin   = var.edge == null ? var.admins : concat(var.admins, [local.agents.iap])
    },
  )
}

# In whose name Google calls a function: pushes, alarms and sweeps carry its tokens, and nobody else
# may call. One for each, so that a message to one function is no key to another.
resource "google_service_account" "caller" {
  for_each = { for name, function in local.functions : name => function if !function.open }

  project      = var.project
  account_id   = "${var.name}-call-${each.key}"
  display_name = "Calls ${var.name}-${each.key}"
  description  = "Named by the tokens of Pub/Sub, Cloud Tasks and Cloud Scheduler that call ${each.key}"
}

# Pub/Sub makes tokens that name the caller, and can do nothing else with it.
resource "google_service_account_iam_binding" "tokens" {
  for_each = google_service_account.caller

  service_account_id = each.value.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  members            = [local.agents.pubsub]
}

module "function" {
  source   = "../function"
  for_each = local.functions

  project             = var.project
  region              = var.region
  name                = "${var.name}-${each.key}"
  account_id          = "${var.name}-${each.key}"
  description         = each.value.does
  image               = var.images[each.value.image]
  environment         = local.environments[each.key]
  invokers            = local.invokers[each.key]
  public              = each.key == "gateway" && var.public_webhooks
  ingress             = !each.value.open ? "internal" : var.edge == null ? "all" : "load-balancer"
  limits              = local.limits[each.key]
  deletion_protection = var.deletion_protection
  kms_key             = var.kms_key
  labels              = merge(local.labels, { function = each.key })

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# Topics that others' dead letters go to come first.
module "failures_topic" {
  source = "../topic"

  project               = var.project
  name                  = "${var.name}-failures"
  publishers            = local.publishers["failures"]
  takes_dead_letters    = true
  push                  = local.pushes["failures"]
  pubsub_agent          = local.agents.pubsub
  age_alert_seconds     = var.alerts.message_age
  notification_channels = var.alerts.notification_channels
  kms_key               = var.kms_key
  labels                = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

module "topic" {
  source   = "../topic"
  for_each = { for topic, function in local.topics : topic => function if topic != "failures" }

  project               = var.project
  name                  = "${var.name}-${each.key}"
  publishers            = local.publishers[each.key]
  push                  = local.pushes[each.key]
  dead_letter_topic     = module.failures_topic.id
  pubsub_agent          = local.agents.pubsub
  age_alert_seconds     = var.alerts.message_age
  notification_channels = var.alerts.notification_channels
  kms_key               = var.kms_key
  labels                = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

locals {
  publishers = {
    for topic in keys(local.topics) : topic => [
      for name, function in local.functions : local.members[name] if contains(function.publishes, topic)
    ]
  }

  pushes = {
    for topic, name in local.topics : topic => {
      endpoint        = "${local.urls[name]}/"
      audience        = local.urls[name]
      service_account = google_service_account.caller[name].email
      ack_seconds     = local.functions[name].ack
    }
  }

  all_topics = merge(module.topic, { failures = module.failures_topic })
}

module "document_store" {
  source = "../document-store"

  project                = var.project
  database               = var.name
  location               = var.region
  indexes                = jsondecode(file("${local.infra}/firestore/indexes.json"))
  users                  = local.members
  point_in_time_recovery = var.backups.point_in_time_recovery
  backups                = { daily_days = var.backups.daily_days, weekly_days = var.backups.weekly_days }
  deletion_protection    = var.deletion_protection
  kms_key                = var.kms_key

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

module "warehouse" {
  source = "../warehouse"

  project             = var.project
  appender_role       = local.roles.appender
  dataset             = var.name
  location            = var.region
  tables              = { for id in ["tasks", "messages", "history", "audit"] : id => jsondecode(file("${local.infra}/bigquery/${id}.json")) }
  order_column        = jsondecode(file("${local.infra}/bigquery/order_column.json"))
  appenders           = { for name, function in local.functions : name => local.members[name] if function.rows == "append" }
  editors             = { for name, function in local.functions : name => local.members[name] if function.rows == "edit" }
  readers             = var.analysts
  partition_days      = var.keep.rows_days
  deletion_protection = var.deletion_protection
  kms_key             = var.kms_key
  labels              = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

module "task_queue" {
  source = "../task-queue"

  project   = var.project
  region    = var.region
  name      = "${var.name}-timers"
  enqueuers = [for name, function in local.functions : local.members[name] if function.alarms]
  caller    = google_service_account.caller["timekeeper"].name
}

module "sweep" {
  source = "../schedule"

  project     = var.project
  region      = var.region
  name        = "${var.name}-sweep"
  description = "Publishes what a crash left behind, rings timers whose alarm was lost, ends what expired"
  schedule    = "* * * * *"
  uri         = "${local.urls["timekeeper"]}/sweep"
  audience    = local.urls["timekeeper"]
  caller      = google_service_account.caller["timekeeper"].email
}

module "secret" {
  source   = "../secret"
  for_each = var.secrets

  project = var.project
  id      = "${var.name}-${each.key}"
  readers = [for name in each.value : local.members[name]]
  writers = [local.members["admin"]]
  kms_key = var.kms_key
  # A key of one region encrypts only what is kept there.
  locations = var.kms_key == null ? [] : [var.region]
  labels    = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# On the project, because to list belongs to no single secret. It shows names, never values: the
# check of a flow says which secret is missing.
resource "google_project_iam_member" "secret_lister" {
  project = var.project
  role    = local.roles.secret_lister
  member  = local.members["admin"]
}

module "edge" {
  source = "../edge"
  count  = var.edge == null ? 0 : 1

  project                   = var.project
  region                    = var.region
  name                      = var.name
  domain                    = var.edge.domain
  webhook_service           = module.function["gateway"].name
  admin_service             = module.function["admin"].name
  admins                    = var.admins
  webhooks_per_minute       = var.edge.webhooks_per_minute
  admin_requests_per_minute = var.edge.admin_requests_per_minute
}

module "observability" {
  source = "../observability"

  project               = var.project
  name                  = var.name
  services              = { for name, function in module.function : name => function.name }
  public_service        = module.function["gateway"].name
  subscriptions         = { for topic, it in local.all_topics : topic => it.subscription }
  landing_subscription  = module.topic["landing"].subscription
  notification_channels = var.alerts.notification_channels
  thresholds = {
    told_every     = var.alerts.told_every
    error_percent  = var.alerts.error_percent
    landing_lag    = var.alerts.landing_lag
    webhook_millis = var.alerts.webhook_millis
  }
  budget = var.budget == null ? null : {
    billing_account = var.budget.billing_account
    project_number  = data.google_project.this.number
    amount          = var.budget.amount
  }
  labels = local.labels
}
