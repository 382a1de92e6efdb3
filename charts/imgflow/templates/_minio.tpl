{{- /* The chart's own MinIO: its pod. Whatever changes this text replaces the pod. */}}
{{- define "imgflow.minioPod" -}}
{{- with .Values.minio -}}
metadata:
  labels:
    app.kubernetes.io/name: imgflow-minio
    app.kubernetes.io/part-of: imgflow
  {{- if ne .persistence.type "emptyDir" }}
  annotations:
    # Other credentials: another server. On an emptyDir its container starts anew instead; see bucket.yaml.
    imgflow.io/credentials: {{ list $.Values.store.accessKey $.Values.store.secretKey $.Values.store.existingSecret | toJson | sha256sum | trunc 16 | quote }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{- include "imgflow.podSecurity" $ | nindent 4 }}
  containers:
    - name: minio
      image: {{ .image }}
      imagePullPolicy: {{ .pullPolicy }}
      command: [minio]
      args: [server, /data, "--address=:9000", "--console-address=:9001"]
      env:
        - {name: MINIO_ROOT_USER, valueFrom: {secretKeyRef: {name: imgflow-s3, key: AWS_ACCESS_KEY_ID}}}
        - {name: MINIO_ROOT_PASSWORD, valueFrom: {secretKeyRef: {name: imgflow-s3, key: AWS_SECRET_ACCESS_KEY}}}
        - {name: MINIO_REGION, value: {{ $.Values.store.region | quote }}}
        - {name: MINIO_UPDATE, value: "off"}
        - {name: HOME, value: /tmp}
      ports:
        - {name: s3, containerPort: 9000}
        - {name: console, containerPort: 9001}
      startupProbe: {httpGet: {path: /minio/health/live, port: s3}, periodSeconds: 2, failureThreshold: 60}
      readinessProbe: {httpGet: {path: /minio/health/ready, port: s3}, periodSeconds: 5, timeoutSeconds: 5}
      livenessProbe: {httpGet: {path: /minio/health/live, port: s3}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6}
      resources: {{- toYaml .resources | nindent 8 }}
      securityContext: {{- include "imgflow.security" $ | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - {name: tmp, emptyDir: {}}
    - name: data
      {{- if eq .persistence.type "pvc" }}
      persistentVolumeClaim: {claimName: imgflow-minio}
      {{- else if eq .persistence.type "hostPath" }}
      hostPath: {path: {{ .persistence.path | quote }}, type: Directory}
      {{- else }}
      emptyDir: {}
      {{- end }}
  {{- with .nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  tolerations:
    {{- if eq .persistence.type "emptyDir" }}
    # An eviction would lose everything: wait for the node to come back, however long it takes.
    - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute}
    - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute}
    {{- end }}
    {{- with .tolerations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{- /* What tells one such pod from another. */}}
{{- define "imgflow.minioMark" -}}
{{ include "imgflow.minioPod" . | fromYaml | toJson | sha256sum | trunc 16 }}
{{- end }}
