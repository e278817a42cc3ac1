# One page: is anything waiting, failing, slow, or costly?

locals {
  of_services = "resource.type=\"cloud_run_revision\" resource.label.service_name=starts_with(\"${var.name}-\")"
  of_topics   = "resource.type=\"pubsub_subscription\" resource.label.subscription_id=starts_with(\"${var.name}-\")"

  # Each chart: its title, the series, how they are aligned and joined.
  charts = [
    { title = "Oldest message, seconds", filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" ${local.of_topics}", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", group = "resource.label.subscription_id" },
    { title = "Messages waiting", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" ${local.of_topics}", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", group = "resource.label.subscription_id" },
    { title = "Requests per second", filter = "metric.type=\"run.googleapis.com/request_count\" ${local.of_services}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = "resource.label.service_name" },
    { title = "Requests answered 5xx per second", filter = "metric.type=\"run.googleapis.com/request_count\" metric.label.response_code_class=\"5xx\" ${local.of_services}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = "resource.label.service_name" },
    { title = "Latency p99, milliseconds", filter = "metric.type=\"run.googleapis.com/request_latencies\" ${local.of_services}", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group = "resource.label.service_name" },
    { title = "Instances", filter = "metric.type=\"run.googleapis.com/container/instance_count\" ${local.of_services}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group = "resource.label.service_name" },
    { title = "Start-up latency p95, milliseconds", filter = "metric.type=\"run.googleapis.com/container/startup_latencies\" ${local.of_services}", aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", group = "resource.label.service_name" },
    { title = "Firestore writes per second", filter = "metric.type=\"firestore.googleapis.com/document/write_count\" resource.type=\"firestore_instance\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = "metric.label.op" },
  ]

  counters = [
    for name, counted in local.counted : {
      title   = "${counted.help}, per minute"
      filter  = "metric.type=\"logging.googleapis.com/user/${var.name}/${name}\" resource.type=\"cloud_run_revision\""
      aligner = "ALIGN_DELTA"
      reducer = "REDUCE_SUM"
      group   = "resource.label.service_name"
    }
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = var.name
    mosaicLayout = {
      columns = 12
      tiles = [
        for place, chart in concat(local.charts, local.counters) : {
          xPos   = (place % 2) * 6
          yPos   = floor(place / 2) * 4
          width  = 6
          height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = [chart.group]
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_logging_metric.counted]
}
