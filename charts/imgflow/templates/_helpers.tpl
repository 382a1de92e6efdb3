{{- define "imgflow.labels" -}}
app.kubernetes.io/part-of: imgflow
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* URL of the S3 server, as pods see it. */}}
{{- define "imgflow.endpoint" -}}
{{- .Values.store.endpoint | default (printf "http://imgflow-minio.%s.svc:9000" .Release.Namespace) -}}
{{- end }}

{{- /* The port of a URL, written or implied. */}}
{{- define "imgflow.port" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end }}

{{- /* The credentials that the chart's MinIO was started with, where this upgrade changes them and leaves it its pod. */}}
{{- define "imgflow.rotated" -}}
{{- $old := (lookup "v1" "Secret" .Release.Namespace "imgflow-s3").data | default dict }}
{{- if and $old .Values.minio.enabled (eq .Values.minio.persistence.type "emptyDir") (not .Values.store.existingSecret) }}
  {{- $user := .Values.store.accessKey | default ($old.AWS_ACCESS_KEY_ID | b64dec) }}
  {{- $password := .Values.store.secretKey | default ($old.AWS_SECRET_ACCESS_KEY | b64dec) }}
  {{- if ne (list $user $password | toJson) (list ($old.AWS_ACCESS_KEY_ID | b64dec) ($old.AWS_SECRET_ACCESS_KEY | b64dec) | toJson) }}
ACCESS_KEY_ID: {{ $old.AWS_ACCESS_KEY_ID }}
SECRET_ACCESS_KEY: {{ $old.AWS_SECRET_ACCESS_KEY }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* What the Pod Security level `restricted` asks of a pod, and of each of its containers. */}}
{{- define "imgflow.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "imgflow.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
