# The settings of each function. A test holds the names to those that the binaries read.
locals {
  common = {
    CHATFLOW_BACKEND               = "gcp"
    CHATFLOW_PROJECT               = var.project
    CHATFLOW_REGION                = var.region
    CHATFLOW_FIRESTORE_DATABASE    = module.document_store.database
    CHATFLOW_TOPIC_PREFIX          = "${var.name}-"
    CHATFLOW_TASKS_QUEUE           = "${var.name}-timers"
    CHATFLOW_TIMEKEEPER_URL        = local.urls["timekeeper"]
    CHATFLOW_TASKS_SERVICE_ACCOUNT = google_service_account.caller["timekeeper"].email
    CHATFLOW_DATASET               = module.warehouse.dataset
    CHATFLOW_SECRET_PREFIX         = "${var.name}-"
  }

  # Left out where they are not set.
  optional = {
    CHATFLOW_LOG                     = var.log
    CHATFLOW_KEEP_HISTORY_DAYS       = var.keep.history_days
    CHATFLOW_KEEP_CONVERSATIONS_DAYS = var.keep.conversations_days
    OTEL_EXPORTER_OTLP_ENDPOINT      = var.collector
  }

  environments = {
    for name, function in local.functions : name => merge(
      local.common,
      { for key, value in local.optional : key => tostring(value) if value != null },
      function.topic == null ? {} : {
        CHATFLOW_PUSH_AUDIENCE         = local.urls[name]
        CHATFLOW_PUSH_SERVICE_ACCOUNTS = google_service_account.caller[name].email
      },
      name == "gateway" ? { CHATFLOW_ROUTES = "webhooks" } : {},
    )
  }
}
