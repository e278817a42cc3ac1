terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.30, < 7"
    }
    # Only it has `google_project_service_identity`.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 6.30, < 7"
    }
  }

  # Its own state is small and local: the bucket for states is made here.
}

provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}
