{{- /* What the service's processes are told: IMGFLOW_SERVE_* of service.settings, as `serve:` of imgflow.yaml names them. */}}
{{- define "imgflow.serviceSettings" -}}
{{- range $name, $value := .Values.service.settings }}
  {{- if kindIs "map" $value }}
    {{- range $inner, $one := $value }}
IMGFLOW_SERVE_{{ upper $name }}_{{ upper $inner }}: {{ include "imgflow.serviceValue" $one | quote }}
    {{- end }}
  {{- else if not (kindIs "invalid" $value) }}
IMGFLOW_SERVE_{{ upper $name }}: {{ include "imgflow.serviceValue" $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* A value as a variable holds it: no number is written with an exponent. */}}
{{- define "imgflow.serviceValue" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end }}

{{- /* The pod of a part of the service; told: part, image, values, store, env, ports, probes, command where it is another. */}}
{{- define "imgflow.servicePod" -}}
{{- $root := .root -}}
{{- $drain := $root.Values.service.settings.drain | default dict -}}
metadata:
  labels:
    app.kubernetes.io/name: imgflow-{{ .part }}
    app.kubernetes.io/part-of: imgflow
  annotations:
    # What is read once, when a process starts: other values are other pods.
    imgflow.io/settings: {{ list (include "imgflow.serviceSettings" $root) $root.Values.service.keys $root.Values.service.tracing $root.Values.store | toJson | sha256sum | trunc 16 | quote }}
spec:
  {{- if and .store $root.Values.store.webIdentity }}
  serviceAccountName: imgflow
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{- include "imgflow.podSecurity" $root | nindent 4 }}
  # Out of everybody's addresses first, then the service's own drain.delay and drain.grace, and some seconds to end.
  terminationGracePeriodSeconds: {{ add 5 (ceil (dig "delay" 5 $drain)) (ceil (dig "grace" 30 $drain)) 20 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector: {matchLabels: {app.kubernetes.io/name: imgflow-{{ .part }}}}
      matchLabelKeys: [pod-template-hash] # new pods are spread among themselves: those that they replace are about to go
  {{- if and .store $root.Values.store.makeBucket }}
  # The bucket, before whatever helm does once all pods are ready: without one the API is not.
  initContainers:
    - name: bucket
      image: {{ $root.Values.containers.prefix }}{{ .image }}:{{ $root.Values.containers.tag }}
      imagePullPolicy: {{ $root.Values.containers.pullPolicy }}
      command: [python, -m, imgflow_steps.store.bucket]
      args: ["--scratch-days={{ $root.Values.store.scratchDays }}"]
      envFrom:
        - configMapRef: {name: imgflow-store}
        - secretRef: {name: {{ $root.Values.store.existingSecret | default "imgflow-s3" }}}
      resources: {{- toYaml .values.resources | nindent 8 }}
      securityContext: {{- include "imgflow.security" $root | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
  {{- end }}
  containers:
    - name: {{ .part }}
      image: {{ $root.Values.containers.prefix }}{{ .image }}:{{ $root.Values.containers.tag }}
      imagePullPolicy: {{ $root.Values.containers.pullPolicy }}
      command: {{ .command | default (list "python" "-m" (printf "imgflow_service.%s" .part)) | toJson }}
      envFrom:
        - configMapRef: {name: imgflow-service}
        {{- if .store }}
        - configMapRef: {name: imgflow-store}
        - secretRef: {name: {{ $root.Values.store.existingSecret | default "imgflow-s3" }}}
        {{- end }}
      env:
        - {name: IMGFLOW_LOG, value: json}
        {{- .env | nindent 8 }}
      ports: {{- .ports | nindent 8 }}
      {{- with .probes }}
      {{- . | nindent 6 }}
      {{- end }}
      lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
      resources: {{- toYaml .values.resources | nindent 8 }}
      securityContext: {{- include "imgflow.security" $root | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: {{ .values.spool }}}}
  {{- with .values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* A Deployment that changes its pods without a lost request, how many it has, and how many may be away. */}}
{{- define "imgflow.serviceDeployment" -}}
{{- $root := .root -}}
{{- $scaling := .values.autoscaling | default dict -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: imgflow-{{ .part }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "imgflow.labels" $root | nindent 4 }}
spec:
  {{- if not $scaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels: {app.kubernetes.io/name: imgflow-{{ .part }}}
  template: {{- include "imgflow.servicePod" . | nindent 4 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: imgflow-{{ .part }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "imgflow.labels" $root | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {app.kubernetes.io/name: imgflow-{{ .part }}}
{{- if $scaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: imgflow-{{ .part }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "imgflow.labels" $root | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: imgflow-{{ .part }}}
  minReplicas: {{ .values.replicas }}
  maxReplicas: {{ max (int $scaling.most) (int .values.replicas) }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ $scaling.cpu }}}}
    {{- with $scaling.waiting }}
    - type: Pods
      pods: {metric: {name: imgflow_processor_waiting}, target: {type: AverageValue, averageValue: {{ . | quote }}}}
    {{- end }}
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 15}]}
    scaleDown: {stabilizationWindowSeconds: {{ $scaling.calm }}, policies: [{type: Pods, value: 1, periodSeconds: 60}]}
{{- end }}
{{- end }}
