from tortoise import migrations
from tortoise.migrations import operations as ops
from licentia.storage.fields import InstantField
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('licentia', '0004_connectors')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Webhook',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('url', fields.CharField(max_length=2048)),
                ('kinds', fields.TextField(unique=False)),
                ('format', fields.CharField(max_length=16)),
                ('payload', fields.CharField(max_length=16)),
                ('description', fields.TextField(null=True, unique=False)),
                ('state', fields.CharField(max_length=16)),
                ('reason', fields.TextField(null=True, unique=False)),
                ('keys', fields.TextField(unique=False)),
                ('cursor', fields.TextField(unique=False)),
                ('failing_since', InstantField(null=True)),
                ('paused_until', InstantField(null=True)),
                ('created_at', InstantField()),
                ('updated_at', InstantField()),
            ],
            options={'table': 'webhook', 'app': 'licentia', 'pk_attr': 'id', 'table_description': 'An endpoint that is told of events.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('number', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('id', fields.CharField(unique=True, max_length=64)),
                ('webhook_id', fields.CharField(max_length=64)),
                ('event_id', fields.CharField(max_length=64)),
                ('kind', fields.CharField(max_length=64)),
                ('at', InstantField()),
                ('data', fields.TextField(unique=False)),
                ('state', fields.CharField(default='waiting', max_length=16)),
                ('due_at', InstantField(null=True)),
                ('attempts', fields.IntField(default=0)),
                ('attempted_at', InstantField(null=True)),
                ('status', fields.IntField(null=True)),
                ('answer', fields.TextField(null=True, unique=False)),
                ('problem', fields.TextField(null=True, unique=False)),
            ],
            options={'table': 'webhook_delivery', 'app': 'licentia', 'indexes': [Index(fields=['webhook_id', 'state', 'due_at']), Index(fields=['state', 'due_at']), Index(fields=['state', 'attempted_at'])], 'pk_attr': 'number', 'table_description': 'An event for an endpoint. `id` is derived from both, so that none is there twice.'},
            bases=['Model'],
        ),
    ]
